"""Milvus: items and embeddings of a bundle or of shards in a collection, and search there."""
