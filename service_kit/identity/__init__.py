"""Who a server is: its key, its GUID, and what rests on them."""
