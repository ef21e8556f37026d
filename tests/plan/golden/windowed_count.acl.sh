# Who grants rights must be known to the broker: add --command-config <file> to each.
# without Delete a worker runs, but repartition topics keep what was read from them; without DescribeConfigs a worker runs, but topics are used however they are configured.
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic orders
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --topic out
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Create --operation Read --operation Write --operation Delete --operation DescribeConfigs --topic shop-by-id-repartition
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Create --operation Read --operation Write --operation DescribeConfigs --topic shop-per-minute-changelog
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --group shop
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --transactional-id shop- --resource-pattern-type prefixed
