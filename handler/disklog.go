package handler

func (h *Handler) diskTrouble(err error) {
	h.disk.Tell(func(more int) {
		h.cfg.Logger.Error(err, "A request or an answer cannot be buffered", "app", h.appName(), "directory",
			h.cfg.DataBufferDir, "more", more)
	})
}
