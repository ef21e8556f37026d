"""Orders in batches of up to ten, or what there is after five seconds; with events and headers."""

from pipeline import faust


class Order(faust.Record):
    account_id: str
    quantity: int


app = faust.App("orders", broker="kafka://localhost:9092")
orders_topic = app.topic("orders", key_type=str, value_type=Order)
batches = []
offsets = []


@app.agent(orders_topic)
async def process(orders):
    async for several in orders.take(3, within=5.0):
        batches.append([order.quantity for order in several])


@app.agent(orders_topic, name="numbering")
async def number(orders):
    async for event in orders.events():
        offsets.append((event.message.offset, event.key, event.value.quantity))


if __name__ == "__main__":
    app.main()
