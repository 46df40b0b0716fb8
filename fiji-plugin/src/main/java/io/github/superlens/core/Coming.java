package io.github.superlens.core;

import java.util.Collections;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;
import io.github.superlens.engine.Reply;

/** A menu item that keeps its place for what the engine cannot do yet, and says so. */
public final class Coming implements Command {

	private final String verb;
	private final String label;

	Coming(String verb, String label) {
		this.verb = verb;
		this.label = label;
	}

	/** Label of the menu item. */
	public String label() {
		return label;
	}

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Reply ping = Job.ask("ping", Collections.emptyMap(), host);
		final String version = Json.text(ping.info(), "version", "");
		final boolean there = Json.array(ping.info().get("verbs")).contains(verb);
		throw EngineException.user("\"" + label + "\" needs a newer superlens: " + (there ? "this plugin" : "the engine, version " + version + ",") + " cannot do it yet.");
	}
}
