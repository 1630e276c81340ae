# SPDX-License-Identifier: Apache-2.0
"""Runs with the Python of the peers: `upload_peer.py REPO FOLDER` uploads a folder to a Space with the Hub's own client."""
import sys

from huggingface_hub import HfApi

api = HfApi()
api.create_repo(sys.argv[1], repo_type="space", space_sdk="docker", exist_ok=True)
api.upload_folder(repo_id=sys.argv[1], repo_type="space", folder_path=sys.argv[2])
