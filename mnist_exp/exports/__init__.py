"""A finished run's network in other tools' formats, each proved equal before it is called done."""
