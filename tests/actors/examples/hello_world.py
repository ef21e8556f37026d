"""The first program: print each greeting."""

from pipeline import faust

app = faust.App("hello-world", broker="kafka://localhost:9092", value_serializer="raw")
greetings_topic = app.topic("greetings")
heard: list[str] = []


@app.agent(greetings_topic)
async def print_greetings(greetings):
    async for greeting in greetings:
        heard.append(greeting.decode())


if __name__ == "__main__":
    app.main()
