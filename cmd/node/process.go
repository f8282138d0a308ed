package node

import (
	"context"
	"fmt"
	"time"

	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/web"
)

// process is what runs until it is told to stop.
type process struct {
	session *Session
	web     *web.Server
	// parts are those after the web's own, in the order of their start.
	parts []boot.Part
	// announce tells the user where everything is, once all of it serves.
	announce func(took time.Duration) error
	// handsOver says that what it has goes to others when it stops.
	handsOver bool
}

func (p *process) run(ctx context.Context) error {
	begin := time.Now()
	defer context.AfterFunc(ctx, p.sayStopping)()
	health := p.web.Health()
	sequence := boot.Sequence{Parts: append([]boot.Part{p.web.Part()}, p.parts...), Logger: p.session.Logger(), State: health.Set}
	health.Expect(sequence.Parts)
	return sequence.Run(ctx, func() {
		// Whoever waits for readiness may then read the addresses.
		if err := p.announce(time.Since(begin)); err != nil {
			p.session.Logger().Error("print addresses", "err", err)
		}
		health.Announce()
	})
}

const (
	finishing   = "stopping: finishing what was taken in"
	handingOver = "stopping: handing everything over"
)

// sayStopping answers the signal, so that nobody thinks it was not heard.
func (p *process) sayStopping() {
	terminal := console.IsTerminal(p.session.Err())
	switch {
	case terminal && p.handsOver:
		fmt.Fprintln(p.session.Err(), handingOver, again)
	case terminal:
		fmt.Fprintln(p.session.Err(), finishing, again)
	case p.handsOver:
		p.session.Logger().Info(handingOver)
	default:
		p.session.Logger().Info(finishing)
	}
}

const again = "(Ctrl-C again stops at once)"
