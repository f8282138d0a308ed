package servers

import "fmt"

// Promise is what a deployment on servers of the user's own keeps of what was
// acknowledged.
type Promise string

const (
	// ReplicatedSync survives the loss of a server and a power cut of all.
	ReplicatedSync Promise = "replicated-sync"
	// Replicated survives the loss of a server.
	Replicated Promise = "replicated"
	// Single survives what its one server does.
	Single Promise = "single"
	// None survives nothing.
	None Promise = "none"
)

// Promises returns all of them, the strongest first.
func Promises() []Promise { return []Promise{ReplicatedSync, Replicated, Single, None} }

// Copies returns the fewest copies that keep the promise: of two, none may be lost.
func (p Promise) Copies() int {
	if p == ReplicatedSync || p == Replicated {
		return 3
	}
	return 1
}

// Loss says in one line what the deployment can lose, with so many copies.
func (p Promise) Loss(copies int) string {
	switch p {
	case ReplicatedSync:
		return fmt.Sprintf("acknowledged commands survive the loss of %s and a power cut of all servers", outOf((copies-1)/2, copies))
	case Replicated:
		return fmt.Sprintf("acknowledged commands survive the loss of %s; a power cut of all servers at once can lose minutes of them, or everything", outOf((copies-1)/2, copies))
	case Single:
		if copies > 1 {
			return fmt.Sprintf("%d copies; what a power cut loses is up to the servers' sync_interval", copies)
		}
		return "one copy, lost with its disk; a power cut loses what the server had not synced: minutes of acknowledged commands, or everything, unless it has sync_interval: always"
	default:
		return "everything is in the servers' memory and lost when they stop"
	}
}

func outOf(lost, of int) string { return fmt.Sprintf("%d of %d servers", lost, of) }
