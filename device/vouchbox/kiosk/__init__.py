"""The kiosk room: it asks the person and shows the result. It sees prompts and texts, no pixel, no key."""
