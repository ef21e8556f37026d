"""The ceilings: each work as one would write it by hand, straight on the Kafka client and RocksDB."""
