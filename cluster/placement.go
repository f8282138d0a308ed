package cluster

// Placement answers which node serves what. All methods may be called from
// many goroutines, take no lock that is held during I/O, and are cheap enough
// to be asked once for each command.
type Placement interface {
	// Owner returns the node that serves the partition, and whether it is this
	// one. node is empty when nobody serves it at the moment, as it is for a
	// partition outside the namespace; the caller tries again within its
	// deadline. The answer may be out of date as soon as it is given.
	Owner(partition int) (node string, here bool)

	// Runner returns the node that runs a duty, such as a view, likewise.
	Runner(duty string) (node string, here bool)

	// Changed returns a channel that is closed at the first change after the
	// call. Ask for it before looking at owners, and again after each change:
	//
	//	for {
	//		changed := p.Changed()
	//		… look at Owner …
	//		<-changed
	//	}
	//
	// Then no change is missed, and several changes in a row may be seen as one.
	Changed() <-chan struct{}
}

// Single returns the placement of a system that has one node: it serves all
// of the namespace's partitions, [0, partitions), and runs every duty, for ever.
func Single(node string, partitions int) Placement {
	if node == "" || partitions < 1 {
		panic("cluster: a single node needs a name and at least one partition")
	}
	return single{node: node, partitions: partitions}
}

type single struct {
	node       string
	partitions int
}

func (s single) Owner(partition int) (string, bool) {
	if partition < 0 || partition >= s.partitions {
		return "", false
	}
	return s.node, true
}

func (s single) Runner(string) (string, bool) { return s.node, true }

// Changed returns a nil channel, which is never closed: nothing ever changes.
func (s single) Changed() <-chan struct{} { return nil }
