package handler

// logBufferError logs that a body cannot be buffered, once for many.
func (h *Handler) logBufferError(err error) {
	h.disk.Tell(func(more int) {
		h.cfg.Logger.Error(err, "a request or a response cannot be buffered", "app", h.appName(), "directory",
			h.cfg.DataBufferDir, "more", more)
	})
}
