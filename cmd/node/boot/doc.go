// Package boot starts the parts of a process one after the other, and stops them in reverse.
//
//	s := boot.Sequence{
//		Parts: []boot.Part{
//			{Name: "server", Open: server.Open, Close: server.Close},
//			{Name: "gateway", Run: gateway.Run, Ready: gateway.Ready},
//		},
//		Logger: slog.Default(),
//	}
//	err := s.Run(ctx, func() { fmt.Println("up") })
//
// It owns the order, the time that a part has to drain, and the errors that name the
// part which failed. It never knows what a part does, makes none, and starts none
// again: who runs the process decides what follows a failure.
package boot
