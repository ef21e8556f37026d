"""The same programs on stock Faust and on Headrace."""
