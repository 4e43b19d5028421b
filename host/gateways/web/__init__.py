"""The live page: boards, decisions and why, in a browser without any external resource."""
