# SPDX-License-Identifier: Apache-2.0
"""Takes a photograph (JPEG, PNG ...) and answers what is known of it."""

import io

from PIL import Image
from ts.utils.util import PredictionException


class Handler:
    def initialize(self, context):
        """Called once in each worker: load the model here."""
        self.size = context.model_yaml_config["handler"]["size"]

    def describe(self, data):
        try:
            image = Image.open(io.BytesIO(data)).convert("RGB")
        except OSError as e:
            raise PredictionException("this is no image: %s" % e, 400) from e
        small = image.resize((self.size, self.size))
        red, green, blue = small.resize((1, 1)).getpixel((0, 0))
        return {"width": image.width, "height": image.height,
                "colour": "#%02x%02x%02x" % (red, green, blue)}

    def handle(self, data, context):
        """`data` has a row for each request of the batch; so has the answer."""
        return [self.describe(row.get("body") or row.get("data")) for row in data]
