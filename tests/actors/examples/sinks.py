"""Agents in a row: what one yields another takes, functions hear of it, a topic keeps it."""

from pipeline import faust


class Add(faust.Record):
    a: int
    b: int


app = faust.App("agent-sinks", broker="kafka://localhost:9092")
adding_topic = app.topic("adding", value_type=Add)
results_topic = app.topic("results", value_type=int)
logged = []


def log_result(value):
    logged.append(value)


async def log_later(value):
    logged.append(-value)


@app.agent(results_topic, sink=[log_result])
async def double(stream):
    async for value in stream:
        yield value * 2


@app.agent(adding_topic, sink=[results_topic, log_later])
async def add(stream):
    async for value in stream:
        yield value.a + value.b


if __name__ == "__main__":
    app.main()
