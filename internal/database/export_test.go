package database

const PingAfter = pingAfter
