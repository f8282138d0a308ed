package gateway

import "fmt"

// Mapping returns the subject mapping by which a NATS server sends the commands
// of a namespace to the owners of their partitions, without a hop over a
// gateway. It is set on the account whose clients send commands.
func Mapping(namespace string, partitions int) (from, to string) {
	s := subjects{namespace: namespace}
	return s.commands() + "*.*.*",
		fmt.Sprintf("%s{{partition(%d,1,2)}}.cmd.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}", s.partitions(), partitions)
}
