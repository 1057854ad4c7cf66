"""One headless pass of an end. A short lock covers housekeeping; dumps and transfers run in slots, outside it."""
