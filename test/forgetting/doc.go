// Command forgetting has persons forgotten in a cluster whose nodes are killed at each step
// of it.
//
//	go run ./test/forgetting
//
// Three NATS servers and three nodes run as processes, with an application full of personal
// data. Commands, questions, snapshots and rebuilds go on, beside the live views and in their
// place, while one person after the other is forgotten: on one node or on several at once, under
// one id or many. Between each node and its server stands a gate that knows the steps of a
// forgetting by their messages. It kills the node that takes a step first, before the server has
// the message or before the node has the answer. Other nodes are killed at any moment. Some
// forgettings are asked for again until there is a receipt, the others are left to the nodes.
//
// After each, everything is read about the person: what clients are told over NATS and HTTP,
// documents, dead letters, and the log and snapshots as whoever has the servers and the wrapping
// key opens them. Some are told of again, and must get another key. At the end each
// stream has to take a command, and each view has to have everything and be what the log
// leads to.
//
// It ends with one line of JSON: {"forgets":18,"kills":18,"readable":0,"stuck":0,…}. The exit
// status is 1 if anything of a forgotten person was read, if anything is stuck, or if the
// run is INVALID: too little was forgotten or killed, or the reader did not see those
// who were not forgotten.
//
// It owns what it started, and ends nothing else. It never changes what the nodes run: they are
// the product, with no fault point in it.
package main
