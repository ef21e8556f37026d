# Who grants rights must be known to the broker: add --command-config <file> to each.
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic owners
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic payers
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Create --operation Read --operation Write --topic shop-owners-changelog
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --group shop
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --transactional-id shop- --resource-pattern-type prefixed
