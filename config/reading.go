package config

// confidential is the type of a client that has a secret.
const confidential = "confidential"

type reading struct{}
