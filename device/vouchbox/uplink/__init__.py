"""The uplink room: carries finished bytes between the vault and the MQTT broker, and keeps none of them."""
