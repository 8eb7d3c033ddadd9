# SPDX-License-Identifier: Apache-2.0
"""A name and a value that tell series of a metric apart."""


class Dimension:
    def __init__(self, name, value):
        self.name = name
        self.value = value

    def __str__(self):
        return "%s:%s" % (self.name, self.value)

    def to_dict(self):
        return {"Name": self.name, "Value": self.value}
