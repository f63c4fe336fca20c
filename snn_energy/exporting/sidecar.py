def sidecar_of(done, proto):
    return ""
