# Who grants rights must be known to the broker: add --command-config <file> to each.
# without DescribeConfigs a worker runs, but topics are used however they are configured.
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --operation DescribeConfigs --topic owners
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic orders
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --topic out
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --group shop
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --transactional-id shop- --resource-pattern-type prefixed
