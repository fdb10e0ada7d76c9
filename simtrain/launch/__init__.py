"""Launching several processes on this machine, and the check that they give the results of one."""
