"""Looks at the whole box and says what is wrong with it and what to do. See README.md."""
