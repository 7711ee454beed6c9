"""Answer over HTTP in the shapes of the OpenAI API: gateway, routing, limits, authentication, durable traces."""
