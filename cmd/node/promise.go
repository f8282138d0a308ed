package node

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// promise is what a deployment on servers of the user's own keeps of what was
// acknowledged.
type promise string

const (
	// replicatedSync survives the loss of a server and a power cut of all.
	replicatedSync promise = "replicated-sync"
	// replicated survives the loss of a server.
	replicated promise = "replicated"
	// single survives what its one server does.
	single promise = "single"
	// none survives nothing.
	none promise = "none"
)

// promises are all of them, the strongest first.
var promises = []promise{replicatedSync, replicated, single, none}

func promiseNames() []string {
	var names []string
	for _, p := range promises {
		names = append(names, string(p))
	}
	return names
}

// copies is the fewest copies that keep the promise: of two, none may be lost.
func (p promise) copies() int {
	if p == replicatedSync || p == replicated {
		return 3
	}
	return 1
}

// loss says in one line what the deployment can lose, with so many copies.
func (p promise) loss(copies int) string {
	switch p {
	case replicatedSync:
		return fmt.Sprintf("acknowledged commands survive the loss of %s and a power cut of all servers", servers((copies-1)/2, copies))
	case replicated:
		return fmt.Sprintf("acknowledged commands survive the loss of %s; a power cut of all servers at once can lose minutes of them, or everything", servers((copies-1)/2, copies))
	case single:
		if copies > 1 {
			return fmt.Sprintf("%d copies; what a power cut loses is up to the servers' sync_interval", copies)
		}
		return "one copy, lost with its disk; a power cut loses what the server had not synced: minutes of acknowledged commands, or everything, unless it has sync_interval: always"
	default:
		return "everything is in the servers' memory and lost when they stop"
	}
}

func servers(lost, of int) string { return fmt.Sprintf("%d of %d servers", lost, of) }

// copies is a number of copies.
func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return humanize.Comma(int64(n)) + " copies"
}
