# SPDX-License-Identifier: Apache-2.0
"""Helpers that handlers import from here."""

import json
import os


class PredictionException(Exception):
    """Raise it to answer with a message and status of your own."""

    def __init__(self, message, error_code=500):
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    def __str__(self):
        return "%s : %s" % (self.message, self.error_code)


def list_classes_from_module(module, parent_class=None):
    """Classes defined in `module` itself (not imported ones), optionally only those derived from `parent_class`."""
    classes = [c for c in vars(module).values()
               if isinstance(c, type) and c.__module__ == module.__name__]
    if parent_class is not None:
        classes = [c for c in classes if issubclass(c, parent_class)]
    return classes


def load_label_mapping(mapping_file_path):
    """The contents of index_to_name.json, or None (with a warning) where there is none."""
    if not os.path.isfile(mapping_file_path):
        print("%s is missing. Inference output will not include class name." % mapping_file_path)
        return None
    with open(mapping_file_path) as f:
        mapping = json.load(f)
    if not isinstance(mapping, dict):
        raise Exception("index_to_name mapping should be in \"class\":\"label\" json format")
    # The format of older object detection examples.
    names = mapping.get("object_type_names")
    if names is not None:
        mapping = {str(i): name for i, name in enumerate(names)}
    for key, value in mapping.items():
        if isinstance(value, list):
            value = value[-1]
        if not isinstance(value, str):
            raise Exception("labels in index_to_name must be either str or List[str]")
        mapping[key] = value
    return mapping


def map_class_to_label(probs, mapping=None, lbl_classes=None):
    """Dicts of label → probability, in the order given; class numbers where there is no mapping."""
    if not isinstance(probs, list) or not all(isinstance(row, list) for row in probs):
        raise Exception("Convert classes to list before doing mapping")
    if mapping is not None and not isinstance(mapping, dict):
        raise Exception("Mapping must be a dict")
    if lbl_classes is None:
        lbl_classes = [list(range(len(row))) for row in probs]
    label = (lambda c: mapping[str(c)]) if mapping is not None else str
    return [{label(c): p for c, p in zip(classes, row)}
            for classes, row in zip(lbl_classes, probs)]
