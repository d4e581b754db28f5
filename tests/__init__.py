"""Tests: unit, integration, acceptance; real servers, real files, signals instead of sleeps."""
