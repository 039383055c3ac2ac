"""Models: from a card to a network and a codec in memory, fetched, checked and converted on the way."""
