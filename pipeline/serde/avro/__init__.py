"""Avro on Confluent's wire format."""
