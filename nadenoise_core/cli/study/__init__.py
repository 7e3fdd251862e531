"""`nadenoise study`: The paper's evaluation of many scans."""
