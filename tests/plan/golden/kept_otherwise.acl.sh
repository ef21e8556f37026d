# Who grants rights must be known to the broker: add --command-config <file> to each.
# without DescribeConfigs a worker runs, but topics are used however they are configured.
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic owners
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic payers
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Create --operation Read --operation Write --operation DescribeConfigs --topic shop-owners-changelog
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --group shop
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --transactional-id shop- --resource-pattern-type prefixed
