"""`nadenoise chain`: List, show, check and describe chains and gadgets."""
