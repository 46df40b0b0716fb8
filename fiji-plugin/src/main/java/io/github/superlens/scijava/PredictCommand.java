package io.github.superlens.scijava;

import java.io.File;

import org.scijava.ItemIO;
import org.scijava.command.Command;
import org.scijava.plugin.Parameter;
import org.scijava.plugin.Plugin;

import ij.ImagePlus;

/** {@code Superlens Predict...} for {@code CommandService} and {@code #@} scripts. */
@Plugin(type = Command.class, headless = true, label = "Superlens Predict")
public final class PredictCommand extends TwinCommand {

	@Parameter(label = "Image")
	private ImagePlus image;

	@Parameter(label = "Model file", persist = false)
	private File model;

	@Parameter(label = "Pixel size (nm)", required = false)
	private Double pixel_nm;

	@Parameter(type = ItemIO.OUTPUT, label = "Super-resolved image")
	private ImagePlus result;

	@Override
	public void run() {
		result = work("predict", image);
	}
}
