"""A task rings at the start, an agent of a channel hears it, and tells an agent of a topic, which answers."""

from pipeline import faust

app = faust.App("channels-and-tasks", broker="kafka://localhost:9092")
rings = app.channel(value_type=int)
heard_topic = app.topic("heard", value_type=int)
doors = app.Table("doors", default=int)


@app.agent(rings)
async def listen(stream):
    async for door in stream:
        await heard_topic.send(key=b"house", value=door)


@app.agent(heard_topic)
async def open_doors(stream):
    async for door in stream:
        doors[door] += 1
        yield door * 10


@app.task
async def ring_all():
    for door in range(3):
        await rings.send(value=door)


@app.timer(interval=60.0)
async def every_minute():
    await rings.send(value=0)


async def ask_for(door):
    return await open_doors.ask(door)


if __name__ == "__main__":
    app.main()
