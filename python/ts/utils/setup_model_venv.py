# SPDX-License-Identifier: Apache-2.0
"""`python -m ts.utils.setup_model_venv FOLDER`: a virtual environment that also finds the packages
of the Python that makes it."""

import glob
import os
import site
import sys
import venv


def create_venv(venv_path):
    venv.create(venv_path, clear=True, with_pip=True)


def inherit_site_packages(venv_path):
    """Names our folders of packages in a .pth file of the environment."""
    pattern = os.path.join(glob.escape(str(venv_path)), "lib",
                           "python%d.%d" % sys.version_info[:2], "site-packages")
    found = glob.glob(pattern)
    assert len(found) == 1, "%s: %d folders match %s" % (__file__, len(found), pattern)
    ours = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    with open(os.path.join(found[0], "inherited-site-packages.pth"), "w") as f:
        for folder in ours + site.getsitepackages():
            if os.path.exists(folder):
                print(folder)
                f.write(folder + "\n")


if __name__ == "__main__":
    assert len(sys.argv) == 2, "usage: python -m ts.utils.setup_model_venv FOLDER"
    create_venv(sys.argv[1])
    inherit_site_packages(sys.argv[1])
