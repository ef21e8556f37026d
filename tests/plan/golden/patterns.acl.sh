# Who grants rights must be known to the broker: add --command-config <file> to each.
# source-1 reads what matches orders.*: Kafka has no rights by pattern, so this is one for topics that begin with 'orders.'. What shop may not read it does not see: with rights for single topics instead it reads those.
# source-2 reads what matches paid\..*: Kafka has no rights by pattern, so this is one for topics that begin with 'paid.'. What shop may not read it does not see: with rights for single topics instead it reads those.
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic orders. --resource-pattern-type prefixed
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --topic paid. --resource-pattern-type prefixed
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --topic out
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Read --group shop
kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal 'User:CN=shop,O=Us & Co' --operation Write --transactional-id shop- --resource-pattern-type prefixed
