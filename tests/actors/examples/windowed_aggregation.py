"""Count visits of each country in windows of ten seconds, and look at the one before."""

from datetime import datetime, timedelta

from pipeline import faust


class Visit(faust.Record, isodates=True, serializer="json"):
    country: str
    date: datetime


app = faust.App("windowed-agg", broker="kafka://localhost:9092", store="memory://", version=1)
visits_topic = app.topic("visits", value_type=Visit)
visits_per_country = app.Table("visits_per_country", default=int).tumbling(
    timedelta(seconds=10), expires=timedelta(hours=1)
)
by_field = visits_per_country.relative_to_field(Visit.date)
seen = []


@app.agent(visits_topic)
async def count_visits(visits):
    async for visit in visits:
        visits_per_country[visit.country] += 1
        windowed = visits_per_country[visit.country]
        seen.append((visit.country, windowed.current(), windowed.delta(timedelta(seconds=10))))


if __name__ == "__main__":
    app.main()
