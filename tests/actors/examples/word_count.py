"""Count words: a stream of posts is cut into words, which go to an agent by a topic keyed by the word."""

from pipeline import faust

app = faust.App("word-counts", broker="kafka://localhost:9092", store="rocksdb://", topic_partitions=8)
posts_topic = app.topic("posts", value_type=str)
words_topic = app.topic("words", key_type=str, value_type=str)
word_counts = app.Table("word_counts", default=int, help="Keep count of words (str to int).")


@app.agent(posts_topic)
async def shuffle_words(posts):
    async for post in posts:
        for word in post.split():
            await count_words.send(key=word, value=word)


@app.agent(words_topic)
async def count_words(words):
    """Count words from blog post article body."""
    async for word in words:
        word_counts[word] += 1


if __name__ == "__main__":
    app.main()
