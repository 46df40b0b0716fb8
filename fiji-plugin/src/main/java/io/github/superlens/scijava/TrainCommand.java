package io.github.superlens.scijava;

import java.io.File;

import org.scijava.ItemIO;
import org.scijava.command.Command;
import org.scijava.plugin.Parameter;
import org.scijava.plugin.Plugin;

import ij.ImagePlus;

/** {@code Superlens Train...} for {@code CommandService} and {@code #@} scripts. */
@Plugin(type = Command.class, headless = true, label = "Superlens Train")
public final class TrainCommand extends TwinCommand {

	@Parameter(label = "Image")
	private ImagePlus image;

	@Parameter(label = "Model file", persist = false, style = "save")
	private File model;

	@Parameter(label = "Numerical aperture", required = false)
	private Double na;

	@Parameter(label = "Emission wavelength (nm)", required = false)
	private Double wavelength_nm;

	@Parameter(label = "Pixel size (nm)", required = false)
	private Double pixel_nm;

	@Parameter(label = "Preset", required = false, choices = { "fast", "standard", "paper" })
	private String preset = "fast";

	@Parameter(type = ItemIO.OUTPUT, label = "Trained model")
	private File trained;

	@Override
	public void run() {
		work("train", image);
		trained = getCancelReason() == null ? model : null;
	}
}
