"""What holds for every test: examples are judged by what they show, not by how long a loaded machine takes for one."""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
