"""The update room: it takes a signed package, has it installed, and keeps what it takes to go back."""
