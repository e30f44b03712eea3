"""The relying party's side: asks a box, verifies what it states, keeps templates sealed, acknowledges.

Runs on the customer's server. It shares no code with the vault, only the formats in the vault's README.
"""
