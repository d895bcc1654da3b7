"""bluesky's language: frames out of documents, and the derived run out of reductions."""
