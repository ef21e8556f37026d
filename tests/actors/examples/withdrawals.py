"""Withdrawals: totals of users and of countries, in tables of different keys; what is large is told."""

from datetime import datetime

from pipeline import faust


class Withdrawal(faust.Record, isodates=True, serializer="json"):
    user: str
    country: str
    amount: float
    date: datetime = None


app = faust.App("faust-withdrawals", version=1, broker="kafka://localhost:9092", topic_partitions=4)
withdrawals_topic = app.topic("withdrawals", value_type=Withdrawal)
alerts_topic = app.topic("alerts", key_type=str, value_type=Withdrawal)
user_to_total = app.Table("user_to_total", default=int)
country_to_total = app.Table("country_to_total", default=int)


@app.agent(withdrawals_topic)
async def track_user_withdrawal(withdrawals):
    async for withdrawal in withdrawals:
        user_to_total[withdrawal.user] += withdrawal.amount


@app.agent(withdrawals_topic)
async def track_country_withdrawal(withdrawals):
    async for withdrawal in withdrawals.group_by(Withdrawal.country):
        country_to_total[withdrawal.country] += withdrawal.amount


@app.agent(withdrawals_topic)
async def find_large_user_withdrawals(withdrawals):
    async for withdrawal in withdrawals.filter(lambda w: w.amount > 150.0):
        await alerts_topic.send(key=withdrawal.user, value=withdrawal)


if __name__ == "__main__":
    app.main()
