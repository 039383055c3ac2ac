"""Tag, not rewrite: an encoder says of each word whether it is kept, deleted, replaced or followed by another one."""
